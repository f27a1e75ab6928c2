"""Data sets on disk, one file each, all read as samples one by one: ``registry.open_dataset(name, root)``.

Nothing of them is in this package. ``shards`` is the format that generation writes and training reads; ``coco_export``
writes labels in the format that annotation tools edit, ``coco`` reads them back.
"""
