"""The store: database, blobs, audit chain, keys. What is evidence is written once and never changed."""
