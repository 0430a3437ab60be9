"""What the models assume when nobody asked: skews of GPT-2 and of the renderer, content checks, word lists."""
