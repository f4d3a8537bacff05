# What Cinder's LIO helper asks rtslib for, in its order: create, add an initiator, save, delete.
import sys
from rtslib_fb import FabricModule, FileIOStorageObject, LUN, MappedLUN, NetworkPortal, NodeACL, RTSRoot, TPG, Target

verb, folder, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
NAME = "iqn.2010-10.org.openstack:volume-1"


def let_in(tpg, initiator):
    acl = NodeACL(tpg, initiator, mode="create")
    acl.chap_userid = "cinder"
    acl.chap_password = "secret1234567"
    return acl


def tpg_of_target():
    target = next(target for target in RTSRoot().targets if target.wwn == NAME)
    return next(target.tpgs)


if verb == "create":
    storage = FileIOStorageObject(NAME, dev=folder + "/volume-1", size=8 << 20)
    target = Target(FabricModule("iscsi"), NAME, "create")
    tpg = TPG(target, mode="create")
    tpg.set_attribute("authentication", "1")
    lun = LUN(tpg, storage_object=storage)
    acl = let_in(tpg, "iqn.1994-05.com.redhat:first")
    MappedLUN(acl, lun.lun, lun.lun)
    tpg.enable = 1
    NetworkPortal(tpg, "127.0.0.1", port, mode="any")
elif verb == "add-initiator":
    tpg = tpg_of_target()
    acl = let_in(tpg, sys.argv[4])
    MappedLUN(acl, 0, tpg_lun=0)
elif verb == "save":
    RTSRoot().save_to_file(folder + "/volumes.json")
elif verb == "delete":
    for found in RTSRoot().targets:
        if found.wwn == NAME:
            found.delete()
    for found in RTSRoot().storage_objects:
        if found.name == NAME:
            found.delete()
