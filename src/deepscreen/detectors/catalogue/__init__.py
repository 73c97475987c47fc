"""Plug-in detectors: classifiers of others, read from local checkpoints that a catalogue names, pins and describes."""
