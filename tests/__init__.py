"""Tests of every room, and the small files they write for themselves."""
