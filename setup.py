"""What setup.cfg can't say: the compiled twin of `activity/hand.py`. Where it can't be built, Chopar runs without it."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "activity._hand",
            ["activity/_hand.pyx"],
            depends=["activity/_json.h", "activity/_event.h", "activity/_state.h"],
            optional=True,
        )
    ]
)
