"""What networks share that answer place by place: cases, patches, how they are taught, how they read an image."""
