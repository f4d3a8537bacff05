//! PDUs that a target sends.
//!
//! `stat_sn` counts a response only where the standard says so (an R2T or a NOP-In ping states the next one without
//! using it up). `lun` is the eight bytes of SAM as one number.

use super::{
    AsyncEvent, BHS_BYTES, Bhs, LoginStatus, LogoutResponseCode, Malformed, Opcode, RejectReason,
    ScsiResponseCode, Sn, Stage, TaskManagementResponseCode, TaskTag, direction, field, pdu,
};

direction! {
    /// Any PDU that a target sends.
    Response {
        /// Ping, or answer to one.
        NopIn,
        /// A command's end.
        ScsiResponse,
        /// A task management function's end.
        TaskManagementResponse,
        /// A step of login.
        LoginResponse,
        /// Keys, in full feature phase.
        TextResponse,
        /// Data of a read.
        ScsiDataIn,
        /// The end of a connection or session.
        LogoutResponse,
        /// The target wants data.
        R2t,
        /// Something happened.
        AsyncMessage,
        /// A PDU was not accepted.
        Reject,
    }
}

pdu! {
    /// A ping of the target, or its answer to the initiator's.
    //= RFC 7143 "NOP-In"
    NopIn = NOP_IN sets FINAL {
        /// Bytes of ping data.
        data_segment_bytes: u32 = field::DATA_SEGMENT_BYTES,
        /// A unit, to come back in the answer.
        lun: u64 = field::LUN,
        /// The tag of the NOP-Out that is answered; reserved: a ping of the target.
        initiator_task_tag: TaskTag = field::INITIATOR_TASK_TAG,
        /// Reserved: no answer is wanted.
        target_transfer_tag: TaskTag = field::TARGET_TRANSFER_TAG,
        /// Number of the response; for a ping of the target, the next one.
        stat_sn: Sn = field::STAT_SN,
        /// The next CmdSN that the target expects.
        exp_cmd_sn: Sn = field::EXP_CMD_SN,
        /// The last CmdSN that the target accepts.
        max_cmd_sn: Sn = field::MAX_CMD_SN,
    }
}

pdu! {
    /// A command's end; its data segment is a length of two bytes, sense data and response data.
    //= RFC 7143 "SCSI Response"
    ScsiResponse = SCSI_RESPONSE sets FINAL {
        /// The read part of a bidirectional command would have been longer.
        bidirectional_overflow: bool = field::scsi_response::BIDIRECTIONAL_OVERFLOW,
        /// The read part of a bidirectional command was shorter.
        bidirectional_underflow: bool = field::scsi_response::BIDIRECTIONAL_UNDERFLOW,
        /// The transfer would have been longer than expected.
        overflow: bool = field::scsi_response::OVERFLOW,
        /// The transfer was shorter than expected.
        underflow: bool = field::scsi_response::UNDERFLOW,
        /// Whether the status is valid.
        response: ScsiResponseCode = field::scsi_response::RESPONSE,
        /// SCSI status.
        status: u8 = field::scsi_response::STATUS,
        /// Bytes of sense and response data with their length.
        data_segment_bytes: u32 = field::DATA_SEGMENT_BYTES,
        /// The task.
        initiator_task_tag: TaskTag = field::INITIATOR_TASK_TAG,
        /// For a resegmented read: the tag of the SNACK.
        snack_tag: TaskTag = field::scsi_response::SNACK_TAG,
        /// Number of the response.
        stat_sn: Sn = field::STAT_SN,
        /// The next CmdSN that the target expects.
        exp_cmd_sn: Sn = field::EXP_CMD_SN,
        /// The last CmdSN that the target accepts.
        max_cmd_sn: Sn = field::MAX_CMD_SN,
        /// How many Data-In or R2T PDUs the target has sent for the command.
        exp_data_sn: Sn = field::scsi_response::EXP_DATA_SN,
        /// By how much the read part of a bidirectional command differs.
        bidirectional_residual_bytes: u32 = field::scsi_response::BIDIRECTIONAL_RESIDUAL_BYTES,
        /// By how much the transfer differs.
        residual_bytes: u32 = field::scsi_response::RESIDUAL_BYTES,
    }
}

pdu! {
    /// A task management function's end.
    //= RFC 7143 "Task Management Function Response"
    TaskManagementResponse = TASK_MANAGEMENT_RESPONSE sets FINAL {
        /// How it ended.
        response: TaskManagementResponseCode = field::scsi_response::RESPONSE,
        /// The request.
        initiator_task_tag: TaskTag = field::INITIATOR_TASK_TAG,
        /// Number of the response.
        stat_sn: Sn = field::STAT_SN,
        /// The next CmdSN that the target expects.
        exp_cmd_sn: Sn = field::EXP_CMD_SN,
        /// The last CmdSN that the target accepts.
        max_cmd_sn: Sn = field::MAX_CMD_SN,
    }
}

pdu! {
    /// A step of login.
    //= RFC 7143 "Login Response"
    LoginResponse = LOGIN_RESPONSE {
        /// T: on to the next stage.
        transit: bool = field::text::TRANSIT,
        /// C: the text goes on in the next response.
        continued: bool = field::text::CONTINUE,
        /// CSG.
        current_stage: Stage = field::text::CURRENT_STAGE,
        /// NSG.
        next_stage: Stage = field::text::NEXT_STAGE,
        /// The highest version that the target speaks.
        version_max: u8 = field::text::VERSION_MAX,
        /// The version that is spoken.
        version_active: u8 = field::text::VERSION_MIN,
        /// Bytes of text.
        data_segment_bytes: u32 = field::DATA_SEGMENT_BYTES,
        /// The initiator's part of the session's name.
        isid: [u8; 6] = field::text::ISID,
        /// The target's part of the session's name; for a new session 0 until the last response.
        tsih: u16 = field::text::TSIH,
        /// The login.
        initiator_task_tag: TaskTag = field::INITIATOR_TASK_TAG,
        /// Number of the response.
        stat_sn: Sn = field::STAT_SN,
        /// The next CmdSN that the target expects.
        exp_cmd_sn: Sn = field::EXP_CMD_SN,
        /// The last CmdSN that the target accepts.
        max_cmd_sn: Sn = field::MAX_CMD_SN,
        /// Whether login goes on.
        status: LoginStatus = field::text::STATUS,
    }
}

pdu! {
    /// Keys, in full feature phase.
    //= RFC 7143 "Text Response"
    TextResponse = TEXT_RESPONSE {
        /// F: the target has said all.
        final_pdu: bool = field::FINAL,
        /// C: the text goes on in the next response.
        continued: bool = field::text::CONTINUE,
        /// Bytes of text.
        data_segment_bytes: u32 = field::DATA_SEGMENT_BYTES,
        /// A unit, to come back in the next request.
        lun: u64 = field::LUN,
        /// The negotiation.
        initiator_task_tag: TaskTag = field::INITIATOR_TASK_TAG,
        /// Reserved: the target has said all.
        target_transfer_tag: TaskTag = field::TARGET_TRANSFER_TAG,
        /// Number of the response.
        stat_sn: Sn = field::STAT_SN,
        /// The next CmdSN that the target expects.
        exp_cmd_sn: Sn = field::EXP_CMD_SN,
        /// The last CmdSN that the target accepts.
        max_cmd_sn: Sn = field::MAX_CMD_SN,
    }
}

pdu! {
    /// Data of a read, and with `status_present` the command's end.
    //= RFC 7143 "SCSI Data-Out and SCSI Data-In"
    ScsiDataIn = SCSI_DATA_IN {
        /// F: the last of its sequence.
        final_pdu: bool = field::FINAL,
        /// A: the initiator should acknowledge.
        acknowledge: bool = field::data::ACKNOWLEDGE,
        /// The transfer would have been longer than expected.
        overflow: bool = field::scsi_response::OVERFLOW,
        /// The transfer was shorter than expected.
        underflow: bool = field::scsi_response::UNDERFLOW,
        /// S: status, residual and StatSN are valid.
        status_present: bool = field::data::STATUS_PRESENT,
        /// SCSI status.
        status: u8 = field::scsi_response::STATUS,
        /// Bytes of data.
        data_segment_bytes: u32 = field::DATA_SEGMENT_BYTES,
        /// The unit, if acknowledgement is wanted.
        lun: u64 = field::LUN,
        /// The task.
        initiator_task_tag: TaskTag = field::INITIATOR_TASK_TAG,
        /// For the acknowledgement; else reserved.
        target_transfer_tag: TaskTag = field::TARGET_TRANSFER_TAG,
        /// Number of the response, if there is a status.
        stat_sn: Sn = field::STAT_SN,
        /// The next CmdSN that the target expects.
        exp_cmd_sn: Sn = field::EXP_CMD_SN,
        /// The last CmdSN that the target accepts.
        max_cmd_sn: Sn = field::MAX_CMD_SN,
        /// Number among the command's Data-In PDUs.
        data_sn: Sn = field::data::DATA_SN,
        /// Where in the command's buffer the data belongs.
        buffer_offset: u32 = field::data::BUFFER_OFFSET,
        /// By how much the transfer differs.
        residual_bytes: u32 = field::scsi_response::RESIDUAL_BYTES,
    }
}

pdu! {
    /// The end of a connection or session.
    //= RFC 7143 "Logout Response"
    LogoutResponse = LOGOUT_RESPONSE sets FINAL {
        /// How it ended.
        response: LogoutResponseCode = field::scsi_response::RESPONSE,
        /// The request.
        initiator_task_tag: TaskTag = field::INITIATOR_TASK_TAG,
        /// Number of the response.
        stat_sn: Sn = field::STAT_SN,
        /// The next CmdSN that the target expects.
        exp_cmd_sn: Sn = field::EXP_CMD_SN,
        /// The last CmdSN that the target accepts.
        max_cmd_sn: Sn = field::MAX_CMD_SN,
        /// Seconds to wait before a reconnect.
        time_to_wait: u16 = field::logout::TIME_TO_WAIT,
        /// Seconds after that in which tasks can be reassigned.
        time_to_retain: u16 = field::logout::TIME_TO_RETAIN,
    }
}

pdu! {
    /// The target wants data.
    //= RFC 7143 "Ready To Transfer (R2T)"
    R2t = R2T sets FINAL {
        /// The unit.
        lun: u64 = field::LUN,
        /// The task.
        initiator_task_tag: TaskTag = field::INITIATOR_TASK_TAG,
        /// To come back in the Data-Out PDUs.
        target_transfer_tag: TaskTag = field::TARGET_TRANSFER_TAG,
        /// The next StatSN; not used up.
        stat_sn: Sn = field::STAT_SN,
        /// The next CmdSN that the target expects.
        exp_cmd_sn: Sn = field::EXP_CMD_SN,
        /// The last CmdSN that the target accepts.
        max_cmd_sn: Sn = field::MAX_CMD_SN,
        /// Number among the command's R2Ts.
        r2t_sn: Sn = field::data::DATA_SN,
        /// Where in the command's buffer the wanted data begins.
        buffer_offset: u32 = field::data::BUFFER_OFFSET,
        /// How much is wanted.
        desired_bytes: u32 = field::data::DESIRED_BYTES,
    }
}

pdu! {
    /// Something happened.
    //= RFC 7143 "Asynchronous Message"
    AsyncMessage = ASYNC_MESSAGE sets FINAL {
        /// Bytes of sense data and event data.
        data_segment_bytes: u32 = field::DATA_SEGMENT_BYTES,
        /// The unit.
        lun: u64 = field::LUN,
        /// Always reserved.
        initiator_task_tag: TaskTag = field::INITIATOR_TASK_TAG,
        /// Number of the message.
        stat_sn: Sn = field::STAT_SN,
        /// The next CmdSN that the target expects.
        exp_cmd_sn: Sn = field::EXP_CMD_SN,
        /// The last CmdSN that the target accepts.
        max_cmd_sn: Sn = field::MAX_CMD_SN,
        /// What happened.
        event: AsyncEvent = field::async_message::EVENT,
        /// A vendor's own event.
        vendor_code: u8 = field::async_message::VENDOR_CODE,
        /// The CID of a dropped connection.
        parameter1: u16 = field::async_message::PARAMETER1,
        /// Seconds to wait before a reconnect.
        parameter2: u16 = field::async_message::PARAMETER2,
        /// Seconds until logout, or in which tasks can be reassigned.
        parameter3: u16 = field::async_message::PARAMETER3,
    }
}

pdu! {
    /// A PDU was not accepted; its header is the data segment.
    //= RFC 7143 "Reject"
    Reject = REJECT sets FINAL {
        /// Why.
        reason: RejectReason = field::scsi_response::RESPONSE,
        /// Bytes of the refused header.
        data_segment_bytes: u32 = field::DATA_SEGMENT_BYTES,
        /// Always reserved.
        initiator_task_tag: TaskTag = field::INITIATOR_TASK_TAG,
        /// Number of the message.
        stat_sn: Sn = field::STAT_SN,
        /// The next CmdSN that the target expects.
        exp_cmd_sn: Sn = field::EXP_CMD_SN,
        /// The last CmdSN that the target accepts.
        max_cmd_sn: Sn = field::MAX_CMD_SN,
        /// The next valid R2T or Data-In number, for a refused data acknowledgement or SNACK.
        data_sn: Sn = field::data::DATA_SN,
    }
}
