"""Work on pictures that are there: draw over them, enlarge them, retouch them, compare two wordings of a prompt."""
