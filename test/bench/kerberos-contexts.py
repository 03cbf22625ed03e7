"""The limit of MIT's library: security contexts begun one after the other, with a credential that is opened once.

Arguments: the credential cache, the service's principal, and 'memory' to have the tickets copied there first, as gatepass
has them: what no way of calling the library can get below. Reads a number from each line, answers with a line of JSON.
"""
import sys

import gssapi
from turns import take_turns

cache, service, *where = sys.argv[1:]
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
if where == ["memory"]:
    copy = {"ccache": "MEMORY:copy"}
    credential.store(store=copy, usage="initiate", overwrite=True)
    credential = gssapi.Credentials(usage="initiate", store=copy, mechs=[krb5, spnego])
    begin()
take_turns(lambda: make)
