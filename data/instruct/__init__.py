"""Questions and answers about movements whose truth is known: what the language model is trained and judged on."""
