"""The sample agents. Each knows the address of the plane, its own key, and nothing else of it.

No model is behind them: they decide by a few lines of Python, so that the demo costs nothing and behaves. What they
tell of calls of models, tokens and failures is made up, and every so often a call fails, another model answers, or a
tool is used unasked, so that there is something to find. Start them by
`python -m apps.demo.agents --url http://127.0.0.1:8000 --keys FILE --speed 1`. Copy `plane.py`, `telling.py` and one of
the others to begin an agent of your own.
"""
