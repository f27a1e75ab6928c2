"""Official weight files: finding, checking and downloading them, and turning them into the models of a preset."""
