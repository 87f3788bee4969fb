"""Makes the pages that say what the code says: losses, kinds, causes, JSON documents, the atlas.

`docs.pages.writing.write` is called by ``docs/conf.py`` before Sphinx reads the sources.
"""
