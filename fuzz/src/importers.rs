//! Configurations of tgt and SCST: whatever is taken over holds by the rules and can be made from nothing.
//!
//! The first byte of an input chooses whose it is; the rest is the file.

use crate::Script;
use crate::saveconfig::{facts, reached, same_when_saved};
use felio_control::{Config, import};

/// Does what an input says.
pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let read = if script.coin() { import::scst } else { import::tgt };
    let text = String::from_utf8_lossy(script.rest());
    let size_of = |path: &str| (!path.contains("missing")).then_some(1 << 20);
    if let Ok((config, _)) = read(&text, &facts(), &size_of) {
        same_when_saved(&config);
        reached(&Config::default(), &config);
    }
}

/// Inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    [(0, TGT), (1, SCST)].map(|(whose, text)| [&[whose], text.as_bytes()].concat()).to_vec()
}

/// Words of both.
#[must_use]
pub fn words() -> Vec<String> {
    let words = [TGT, SCST].into_iter().flat_map(str::split_whitespace);
    let mut words: Vec<String> = words.filter(|word| !word.contains('"')).map(ToOwned::to_owned).collect();
    words.sort_unstable();
    words.dedup();
    words
}

const TGT: &str = "
default-driver iscsi
incomingdiscoveryuser finder findit123456
<target iqn.2024-01.org.example:Open>
    backing-store /srv/a.img # first
    <direct-store /dev/sdb>
        lun 7
        vendor_id ACME
        product_id Disk
        scsi_sn 0123
        block-size 4096
        readonly yes
        write-cache off
    </direct-store>
    initiator-address ALL
    initiator-name iqn.1994-05.com.redhat:one
    incominguser me secret123456
    outgoinguser you secret654321
    MaxRecvDataSegmentLength 131072
    controller_tid 3
</target>
";

const SCST: &str = "
HANDLER vdisk_fileio {
    DEVICE one {
        filename /srv/a.img
        size_mb 64
        blocksize 4096
        write_through 1
        nv_cache 1
        rotational 0
        thin_provisioned 1
        t10_vend_id ACME
        prod_id Disk
        usn 0123abcd
    }
}
HANDLER vdisk_blockio { DEVICE two { filename /dev/vg/b
 read_only 1
} }
HANDLER vdisk_nullio {
    DEVICE three {
        size 4096
    }
}
TARGET_DRIVER iscsi {
    enabled 1
    IncomingUser \"me secret123456\"
    TARGET iqn.2024-01.org.example:open {
        enabled 1
        rel_tgt_id 3
        allowed_portal 192.0.2.1
        LUN 0 one
        InitialR2T No
        OutgoingUser \"you secret654321\"
        GROUP hosts {
            LUN 0 two { read_only 1 }
            INITIATOR iqn.1994-05.com.redhat:one
        }
    }
}
DEVICE_GROUP both {
    DEVICE one
    TARGET_GROUP far {
        group_id 5
        state nonoptimized
        preferred 1
        TARGET iqn.2024-01.org.example:open { rel_tgt_id 3 }
    }
}
";
