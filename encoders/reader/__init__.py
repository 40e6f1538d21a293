"""The reader: which actions a movement consists of, in words with times, and learned tokens. Enter by `words.py`."""
