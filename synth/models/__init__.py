"""Getting hold of models: what a name means, whether its files are safe and whole, where and how they are loaded."""
