"""The 26 edge cases of oversight, in their order, over HTTP: what must happen, and that nothing else does.

Each test is named after its row: ``test_row_08_...``. ``only`` counts every table before and after.
"""
