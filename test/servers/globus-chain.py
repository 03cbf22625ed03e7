"""What Globus's own library says of chains of certificates, with a CA folder and its signing policies.

Each line of the input is a JSON object with `folder` and `chain`, a PEM file; each line of the output is its verdict:
`permitted`, `refused`, or `crashed`. Each is asked in a process of its own, so that one crash is one verdict.
"""
import json
import os
import sys
from ctypes import CDLL, POINTER, addressof, byref, c_char_p, c_int, c_void_p

common = CDLL('libglobus_common.so.0')
credential = CDLL('libglobus_gsi_credential.so.1')
callback = CDLL('libglobus_gsi_callback.so.0')
crypto = CDLL('libcrypto.so.3')

common.globus_module_activate.argtypes = [c_void_p]
credential.globus_gsi_cred_handle_init.argtypes = [POINTER(c_void_p), c_void_p]
credential.globus_gsi_cred_read_cert_bio.argtypes = [c_void_p, c_void_p]
credential.globus_gsi_cred_verify_cert_chain.argtypes = [c_void_p, c_void_p]
callback.globus_gsi_callback_data_init.argtypes = [POINTER(c_void_p)]
callback.globus_gsi_callback_set_cert_dir.argtypes = [c_void_p, c_char_p]
crypto.BIO_new_file.argtypes = [c_char_p, c_char_p]
crypto.BIO_new_file.restype = c_void_p


def checked(result):
    if result != 0:
        raise RuntimeError('Globus cannot be set up')


def permits(folder, chain):
    for library, name in ((credential, 'globus_i_gsi_credential_module'), (callback, 'globus_i_gsi_callback_module')):
        checked(common.globus_module_activate(addressof(c_int.in_dll(library, name))))
    handle, data = c_void_p(), c_void_p()
    checked(credential.globus_gsi_cred_handle_init(byref(handle), None))
    checked(credential.globus_gsi_cred_read_cert_bio(handle, crypto.BIO_new_file(chain, b'r')))
    checked(callback.globus_gsi_callback_data_init(byref(data)))
    checked(callback.globus_gsi_callback_set_cert_dir(data, folder))
    return credential.globus_gsi_cred_verify_cert_chain(handle, data) == 0


def verdict(case):
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if permits(case['folder'].encode(), case['chain'].encode()) else 1)
        except Exception as error:
            print(error, file=sys.stderr)
            os._exit(2)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return 'crashed'
    if os.WEXITSTATUS(status) > 1:
        sys.exit(2)
    return 'permitted' if os.WEXITSTATUS(status) == 0 else 'refused'


for line in sys.stdin:
    print(verdict(json.loads(line)), flush=True)
