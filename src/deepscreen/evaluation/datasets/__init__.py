"""Readers of labelled data sets: one small function a layout, all giving the same records."""
