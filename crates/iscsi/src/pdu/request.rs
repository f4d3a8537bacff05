//! PDUs that an initiator sends.
//!
//! `cmd_sn` counts a request unless `immediate` is set. `lun` is the eight bytes of SAM as one number.

use super::{
    BHS_BYTES, Bhs, LogoutReason, Malformed, Opcode, Sn, SnackType, Stage, TaskAttribute,
    TaskManagementFunction, TaskTag, direction, field, pdu,
};

direction! {
    /// Any PDU that an initiator sends.
    Request {
        /// Ping, or answer to one.
        NopOut,
        /// A command.
        ScsiCommand,
        /// A task management function.
        TaskManagementRequest,
        /// A step of login.
        LoginRequest,
        /// Keys, in full feature phase.
        TextRequest,
        /// Data of a write.
        ScsiDataOut,
        /// The end of a connection or session.
        LogoutRequest,
        /// Something is asked for again.
        SnackRequest,
    }
}

pdu! {
    /// A ping of the initiator, or its answer to the target's.
    //= RFC 7143 "NOP-Out"
    NopOut = NOP_OUT sets FINAL {
        /// Deliver at once.
        immediate: bool = field::IMMEDIATE,
        /// Bytes of ping data.
        data_segment_bytes: u32 = field::DATA_SEGMENT_BYTES,
        /// The unit of the NOP-In that is answered.
        lun: u64 = field::LUN,
        /// Reserved: no answer is wanted.
        initiator_task_tag: TaskTag = field::INITIATOR_TASK_TAG,
        /// The tag of the NOP-In that is answered; reserved: a ping of the initiator.
        target_transfer_tag: TaskTag = field::TARGET_TRANSFER_TAG,
        /// Number of the request.
        cmd_sn: Sn = field::CMD_SN,
        /// The next StatSN that the initiator expects.
        exp_stat_sn: Sn = field::EXP_STAT_SN,
    }
}

pdu! {
    /// A SCSI command; its data segment is immediate data, its additional header segments follow the header.
    //= RFC 7143 "SCSI Command"
    ScsiCommand = SCSI_COMMAND {
        /// Deliver at once.
        immediate: bool = field::IMMEDIATE,
        /// F: no unsolicited Data-Out follows.
        final_pdu: bool = field::FINAL,
        /// Data is expected from the target.
        read: bool = field::scsi_command::READ,
        /// Data goes to the target.
        write: bool = field::scsi_command::WRITE,
        /// The task attribute.
        attribute: TaskAttribute = field::scsi_command::ATTR,
        /// Words of four bytes in additional header segments.
        total_ahs_words: u8 = field::TOTAL_AHS_WORDS,
        /// Bytes of immediate data.
        data_segment_bytes: u32 = field::DATA_SEGMENT_BYTES,
        /// The unit.
        lun: u64 = field::LUN,
        /// The initiator's name for the task.
        initiator_task_tag: TaskTag = field::INITIATOR_TASK_TAG,
        /// Bytes that the initiator is ready to send, or to receive if it only reads.
        expected_data_bytes: u32 = field::scsi_command::EXPECTED_DATA_BYTES,
        /// Number of the request.
        cmd_sn: Sn = field::CMD_SN,
        /// The next StatSN that the initiator expects.
        exp_stat_sn: Sn = field::EXP_STAT_SN,
        /// The CDB, or its first 16 bytes.
        cdb: [u8; 16] = field::scsi_command::CDB,
    }
}

pdu! {
    /// A task management function.
    //= RFC 7143 "Task Management Function Request"
    TaskManagementRequest = TASK_MANAGEMENT_REQUEST sets FINAL {
        /// Deliver at once.
        immediate: bool = field::IMMEDIATE,
        /// What to do.
        function: TaskManagementFunction = field::task_management::FUNCTION,
        /// The unit.
        lun: u64 = field::LUN,
        /// The initiator's name for this request.
        initiator_task_tag: TaskTag = field::INITIATOR_TASK_TAG,
        /// The task that is meant.
        referenced_task_tag: TaskTag = field::task_management::REFERENCED_TASK_TAG,
        /// Number of the request.
        cmd_sn: Sn = field::CMD_SN,
        /// The next StatSN that the initiator expects.
        exp_stat_sn: Sn = field::EXP_STAT_SN,
        /// The CmdSN of the task that is meant.
        ref_cmd_sn: Sn = field::task_management::REF_CMD_SN,
        /// For a reassigned task: the next DataSN that the initiator expects.
        exp_data_sn: Sn = field::task_management::EXP_DATA_SN,
    }
}

pdu! {
    /// A step of login.
    //= RFC 7143 "Login Request"
    LoginRequest = LOGIN_REQUEST sets IMMEDIATE {
        /// T: ready to go to the next stage.
        transit: bool = field::text::TRANSIT,
        /// C: the text goes on in the next request.
        continued: bool = field::text::CONTINUE,
        /// CSG.
        current_stage: Stage = field::text::CURRENT_STAGE,
        /// NSG.
        next_stage: Stage = field::text::NEXT_STAGE,
        /// The highest version that the initiator speaks.
        version_max: u8 = field::text::VERSION_MAX,
        /// The lowest version that the initiator speaks.
        version_min: u8 = field::text::VERSION_MIN,
        /// Bytes of text.
        data_segment_bytes: u32 = field::DATA_SEGMENT_BYTES,
        /// The initiator's part of the session's name.
        isid: [u8; 6] = field::text::ISID,
        /// The session to join; 0: a new one.
        tsih: u16 = field::text::TSIH,
        /// The initiator's name for this login.
        initiator_task_tag: TaskTag = field::INITIATOR_TASK_TAG,
        /// The connection.
        cid: u16 = field::text::CID,
        /// The first CmdSN of the session, or the next of one that is joined.
        cmd_sn: Sn = field::CMD_SN,
        /// The next StatSN that the initiator expects.
        exp_stat_sn: Sn = field::EXP_STAT_SN,
    }
}

pdu! {
    /// Keys, in full feature phase.
    //= RFC 7143 "Text Request"
    TextRequest = TEXT_REQUEST {
        /// Deliver at once.
        immediate: bool = field::IMMEDIATE,
        /// F: the initiator has said all.
        final_pdu: bool = field::FINAL,
        /// C: the text goes on in the next request.
        continued: bool = field::text::CONTINUE,
        /// Bytes of text.
        data_segment_bytes: u32 = field::DATA_SEGMENT_BYTES,
        /// The unit of the response that is answered.
        lun: u64 = field::LUN,
        /// The initiator's name for this negotiation.
        initiator_task_tag: TaskTag = field::INITIATOR_TASK_TAG,
        /// Reserved: a new negotiation.
        target_transfer_tag: TaskTag = field::TARGET_TRANSFER_TAG,
        /// Number of the request.
        cmd_sn: Sn = field::CMD_SN,
        /// The next StatSN that the initiator expects.
        exp_stat_sn: Sn = field::EXP_STAT_SN,
    }
}

pdu! {
    /// Data of a write.
    //= RFC 7143 "SCSI Data-Out and SCSI Data-In"
    ScsiDataOut = SCSI_DATA_OUT {
        /// F: the last of its sequence.
        final_pdu: bool = field::FINAL,
        /// Bytes of data.
        data_segment_bytes: u32 = field::DATA_SEGMENT_BYTES,
        /// The unit.
        lun: u64 = field::LUN,
        /// The task.
        initiator_task_tag: TaskTag = field::INITIATOR_TASK_TAG,
        /// The R2T that is answered; reserved: unsolicited.
        target_transfer_tag: TaskTag = field::TARGET_TRANSFER_TAG,
        /// The next StatSN that the initiator expects.
        exp_stat_sn: Sn = field::EXP_STAT_SN,
        /// Number in its sequence.
        data_sn: Sn = field::data::DATA_SN,
        /// Where in the command's buffer the data belongs.
        buffer_offset: u32 = field::data::BUFFER_OFFSET,
    }
}

pdu! {
    /// The end of a connection or session.
    //= RFC 7143 "Logout Request"
    LogoutRequest = LOGOUT_REQUEST sets FINAL {
        /// Deliver at once.
        immediate: bool = field::IMMEDIATE,
        /// What ends.
        reason: LogoutReason = field::logout::REASON,
        /// The initiator's name for this request.
        initiator_task_tag: TaskTag = field::INITIATOR_TASK_TAG,
        /// The connection; not used if the session ends.
        cid: u16 = field::text::CID,
        /// Number of the request.
        cmd_sn: Sn = field::CMD_SN,
        /// The next StatSN that the initiator expects.
        exp_stat_sn: Sn = field::EXP_STAT_SN,
    }
}

pdu! {
    /// Something is asked for again, or acknowledged.
    //= RFC 7143 "SNACK Request"
    SnackRequest = SNACK_REQUEST sets FINAL {
        /// What is asked for.
        kind: SnackType = field::snack::TYPE,
        /// The unit.
        lun: u64 = field::LUN,
        /// The task, or reserved.
        initiator_task_tag: TaskTag = field::INITIATOR_TASK_TAG,
        /// Target transfer tag or SNACK tag.
        target_transfer_tag: TaskTag = field::TARGET_TRANSFER_TAG,
        /// The next StatSN that the initiator expects.
        exp_stat_sn: Sn = field::EXP_STAT_SN,
        /// The first number that is missing.
        beg_run: Sn = field::snack::BEG_RUN,
        /// How many are missing; 0: all from there.
        run_length: u32 = field::snack::RUN_LENGTH,
    }
}
