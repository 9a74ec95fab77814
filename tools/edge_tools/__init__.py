"""What prepares models on a bigger machine; nothing here runs while a model answers."""
