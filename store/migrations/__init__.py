"""How the tables came to be, one step a file in `versions`.

A new step: change `store/schema.py`, then add a file to `versions` whose `down_revision` is the newest one's `revision`.
A step that stands in a release is never changed.
"""
