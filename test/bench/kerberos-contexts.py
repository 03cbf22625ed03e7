"""The limit of MIT's library: security contexts begun one after the other, with a credential that is opened once.

Arguments: the credential cache, the service's principal. Reads a number from each line, answers with a line of JSON.
"""
import sys

import gssapi
from turns import take_turns

cache, service = sys.argv[1:3]
krb5, spnego = gssapi.MechType.kerberos, gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
credential = gssapi.Credentials(usage="initiate", store={"ccache": cache}, mechs=[krb5, spnego])
name = gssapi.Name(service, gssapi.NameType.kerberos_principal)
flags = gssapi.RequirementFlag.mutual_authentication | gssapi.RequirementFlag.out_of_sequence_detection


def begin():
    context = gssapi.SecurityContext(name=name, creds=credential, mech=spnego, usage="initiate", flags=flags)
    return context.step()


def make(count):
    for _ in range(count):
        begin()


begin()
take_turns(lambda: make)
