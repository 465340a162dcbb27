"""What a model read in an image, as files and resources that others open."""
