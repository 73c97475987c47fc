"""Makers of local manipulations, each with the exact mask of what it changed: for fitting and judging heatmaps.

A head is judged on makers that it was not fitted on (``deepscreen evaluate-maps``), so each is a method of its own.
"""
