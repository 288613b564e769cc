"""Where images and masks lie in a folder, how they are paired, and how they are divided."""
