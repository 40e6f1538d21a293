"""Flow of people: networks, what they learn from, and the flow of a clip (H-MoRe, arXiv 2504.10676)."""
