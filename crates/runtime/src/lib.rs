//! Turns readiness and completions into calls; owns every thread, descriptor and page.
