"""The sample agents. Each knows the address of the plane, its own key, and nothing else of it.

No model is behind them: they decide by a few lines of Python, so that the demo costs nothing and behaves. Start them by
`python -m apps.demo.agents --url http://127.0.0.1:8000 --keys FILE --speed 1`. Copy `plane.py` and one of the others
to begin an agent of your own.
"""
