"""From measurements and a question to an answer: language model, chat session, panels and page."""
