//! Commands that concern the medium as a whole: formatting and sanitizing it, and its defects; and those that once moved
//! its heads.

commands! {
    /// SCSI-2 "REZERO UNIT command": there is no head to bring back.
    rezero_unit seek "REZERO UNIT" 0x01, 6 {}

    /// SBC-3 "FORMAT UNIT command". The list, if there is one, is as long as its header says.
    format_unit overhaul "FORMAT UNIT" 0x04, 6 {
        FMTPINFO: u8 = 1, 7, 2;
        LONGLIST: bool = 1, 5, 1;
        FMTDATA: bool = 1, 4, 1;
        CMPLST: bool = 1, 3, 1;
        DEFECT_LIST_FORMAT: u8 = 1, 2, 3;
        /// SBC-4: how much of the medium is initialized.
        FFMT: u8 = 4, 1, 2;
    }

    /// SCSI-2 "SEEK (6) command": there is no head to move.
    seek6 seek "SEEK (6)" 0x0b, 6 {
        LBA: u64 = 1, 4, 21;
    }

    /// SCSI-2 "SEEK (10) command": there is no head to move.
    seek10 seek "SEEK (10)" 0x2b, 10 {
        LBA: u64 = 2, 7, 32;
    }

    /// SBC-3 "READ DEFECT DATA (10) command".
    read_defect_data10 defects "READ DEFECT DATA (10)" 0x37, 10 {
        REQ_PLIST: bool = 2, 4, 1;
        REQ_GLIST: bool = 2, 3, 1;
        DEFECT_LIST_FORMAT: u8 = 2, 2, 3;
        ALLOCATION_LENGTH: u16 = 7, 7, 16;
    }

    /// SBC-3 "READ DEFECT DATA (12) command".
    read_defect_data12 defects "READ DEFECT DATA (12)" 0xb7, 12 {
        REQ_PLIST: bool = 1, 4, 1;
        REQ_GLIST: bool = 1, 3, 1;
        DEFECT_LIST_FORMAT: u8 = 1, 2, 3;
        ADDRESS_DESCRIPTOR_INDEX: u32 = 2, 7, 32;
        ALLOCATION_LENGTH: u32 = 6, 7, 32;
    }

    /// SBC-3 "SANITIZE command", OVERWRITE service action.
    sanitize_overwrite overhaul "SANITIZE (OVERWRITE)" 0x48 / 0x01, 10 {
        IMMED: bool = 1, 7, 1;
        AUSE: bool = 1, 5, 1;
        PARAMETER_LIST_LENGTH: u16 = 7, 7, 16;
    } = 0 {
        /// There are no zones.
        ZNR = 1, 6, 1;
    }

    /// SBC-3 "SANITIZE command", BLOCK ERASE service action.
    sanitize_block_erase overhaul_without_data "SANITIZE (BLOCK ERASE)" 0x48 / 0x02, 10 {
        IMMED: bool = 1, 7, 1;
        AUSE: bool = 1, 5, 1;
    } = 0 {
        /// There are no zones.
        ZNR = 1, 6, 1;
        /// There is no list.
        PARAMETER_LIST_LENGTH = 7, 7, 16;
    }

    /// SBC-3 "SANITIZE command", EXIT FAILURE MODE service action.
    sanitize_exit_failure_mode overhaul_without_data "SANITIZE (EXIT FAILURE MODE)" 0x48 / 0x1f, 10 {
        IMMED: bool = 1, 7, 1;
        AUSE: bool = 1, 5, 1;
    } = 0 {
        /// There are no zones.
        ZNR = 1, 6, 1;
        /// There is no list.
        PARAMETER_LIST_LENGTH = 7, 7, 16;
    }
}
