"""How good pictures are: figures with intervals, CLIP score, and KID."""
