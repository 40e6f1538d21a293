"""Motion concepts (HuMoCon, arXiv 2505.20920): codes of motion and video, what makes them concepts, and their use."""
