"""Why a picture looks as it does: what its words, phrases and noise did to it."""
