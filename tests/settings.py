"""The settings of the product, all but two: what costs much and is the same in every test costs it once or not at all.

At its real cost a password takes a third of a second of a processor, and every browser test signs somebody in; every
test client would ask the disk for the date of every static file. What is served as production is served with
`controlplane.settings` itself (tests/security/test_headers.py), and so is the demo (tests/stack).
"""

from controlplane import settings as real

globals().update({name: getattr(real, name) for name in dir(real) if name.isupper()})

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE = "whitenoise.middleware.WhiteNoiseMiddleware"
MIDDLEWARE = ["tests.static.FoundOnce" if name == WHITENOISE else name for name in real.MIDDLEWARE]
