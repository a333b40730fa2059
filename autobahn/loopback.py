"""wstest as it is, except that its server listens on 127.0.0.1 instead of every interface.

Takes wstest's own arguments. Asked for port 0 it takes one that is free; either way it says which.
Python 2.7, as the suite is.
"""

# Chooses Twisted's reactor: must come before anything else of the suite, or of Twisted.
import autobahntestsuite.choosereactor

from autobahntestsuite import fuzzing, wstest

listen = fuzzing.listenWS


def listen_on_loopback(factory, contextFactory=None):
    port = listen(factory, contextFactory, interface="127.0.0.1")
    print "listening on 127.0.0.1:%d" % port.getHost().port
    return port


fuzzing.listenWS = listen_on_loopback
wstest.run()
