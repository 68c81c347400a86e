"""The fault battery: attacks on an installed Tallyport, on scratch data of the machine it runs on.

Run by ``tallyport selftest --battery`` as a program of its own, from outside like any user.
"""
