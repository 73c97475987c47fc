"""Recipes behind ``make_sample_media.py``: where the originals come from, and how each sample is made from them."""
