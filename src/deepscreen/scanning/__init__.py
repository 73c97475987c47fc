"""Screening of whole evidence folders, archives and disk images: what is there, each once, and lists of the results.

``listing`` finds files, ``arrivals`` takes containers apart and looks files over ahead of the networks, ``run`` screens
them, ``journal`` remembers what is done, ``lists`` writes the results.
"""
