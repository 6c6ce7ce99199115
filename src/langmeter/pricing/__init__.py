"""Cost of a model call: usage as billed (`usage`), rate cards (`cards`), where prices come from (`catalog`), and `quote.price`.

Importing this package loads no price table.
"""
