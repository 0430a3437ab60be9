"""One thread at a time makes a model.

While diffusers or transformers loads one, it patches torch for the whole process, so that parameters are made without
data first; those of whatever another thread makes meanwhile would stay so.
"""

from threading import RLock

LOADING = RLock()
