"""The experiments behind the files under ``results/``: ``python -m experiments NAME ...``.

Most are a grid: a base configuration (``settings/*.yaml`` holds published ones), settings that
vary, and seeds. The other modules are short scripts. None of it is part of the installed package.
"""
