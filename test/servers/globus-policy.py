"""What Globus's own library says of names under signing policies.

Each line of the input is a JSON object with `file`, `issuer` and `subject`; each line of the output is its verdict:
`permitted`, `refused`, or `crashed`. The calls are those of globus_i_gsi_callback_check_gaa_auth. Each is made in a process
of its own, since the library reads beyond the end of some files.
"""
import json
import os
import sys
from ctypes import CDLL, POINTER, byref, c_char_p, c_int, c_uint32, c_void_p

gaa = CDLL('libglobus_oldgaa.so.0')
gaa.oldgaa_globus_initialize.argtypes = [POINTER(c_void_p)] * 4 + [c_char_p] * 3
gaa.oldgaa_get_object_policy_info.argtypes = [POINTER(c_uint32), c_void_p, c_void_p, c_void_p, POINTER(c_void_p)]
gaa.oldgaa_check_authorization.argtypes = [POINTER(c_uint32)] + [c_void_p] * 4 + [POINTER(c_void_p)]


def permits(file, issuer, subject):
    context, rights, options, database = c_void_p(), c_void_p(), c_void_p(), c_void_p()
    policy, answer, minor = c_void_p(), c_void_p(), c_uint32()
    if gaa.oldgaa_globus_initialize(
        byref(context), byref(rights), byref(options), byref(database), issuer, subject, file
    ) != 0:
        return False
    if gaa.oldgaa_get_object_policy_info(
        byref(minor), None, database, gaa.oldgaa_globus_policy_retrieve, byref(policy)
    ) != 0:
        return False
    result = gaa.oldgaa_check_authorization(byref(minor), context, policy, rights, options, byref(answer))
    return bool(answer) and result == 0


def verdict(case):
    child = os.fork()
    if child == 0:
        texts = [case[name].encode('latin-1') for name in ('file', 'issuer', 'subject')]
        os._exit(0 if permits(*texts) else 1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return 'crashed'
    return 'permitted' if os.WEXITSTATUS(status) == 0 else 'refused'


for line in sys.stdin:
    print(verdict(json.loads(line)), flush=True)
