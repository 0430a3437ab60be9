"""Which settings? Sweeps along axes, their measures, and two pictures or studies side by side."""
