"""The training loop. The loss of an optimizer batch does not depend on how it is cut into
micro-batches.
"""
