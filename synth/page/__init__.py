"""The web page: a phrase becomes prompts and pictures in a browser. It talks to the service only."""
