//! Every family on the plain asynchronous device: what is wrong with a case shows here first.

weft_cts::every_family! { plain = weft_cts::subject::plain; }
