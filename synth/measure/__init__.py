"""How good and how varied pictures and prompts are, by automatic measures and by people's votes."""
