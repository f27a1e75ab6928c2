"""Frame -> Features: bring a frame to the working grid and run each image encoder once."""
