"""Where training and serving happen: `base` is the interface, one file for each place."""
