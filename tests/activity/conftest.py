"""Hypothesis for all tests of the rules: no deadline for one example, since the machine may be busy with other things."""

import hypothesis

hypothesis.settings.register_profile("chopar", deadline=None)
hypothesis.settings.load_profile("chopar")
