"""The test kit: contracts that a connector must keep, trees drawn as text, and strategies. Needs pytest.

It is part of the package so that whoever writes a connector elsewhere can run the same contract.
"""

try:
    import pytest
except ModuleNotFoundError:  # trees drawn as text are of use without it
    pass
else:
    for name in ("ability", "changing", "connector", "naming", "reading"):
        pytest.register_assert_rewrite(f"tallyport.testing.{name}_contract")
